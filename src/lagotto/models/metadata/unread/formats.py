"""The name of a model format that is not read comes in; why not, and the shortest way out, go out.

In a recipe {file} and {stem} stand for the file's name with and without its ending.
"""

from dataclasses import dataclass

_TORCH_EXPORT = 'torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), "{stem}.onnx")'
_TF2ONNX = "pip install tf2onnx; python -m tf2onnx.convert"
_AGAIN = "export the model that it was made from to ONNX"
_CODE = "is a pickle, which runs code when it is read"
_GIVE_IT = "to read it all the same, give the file itself: lagotto hub add HUB {file}"
OF_ANOTHER = "is of a form that is read, and taken for a part or another form of a model there"
"""The reason of forms that are read."""

_ONE_DEVICE = "is compiled for one kind of device"


@dataclass(frozen=True, slots=True)
class UnreadFormat:
    """A format of models that is not read: its name, why it is not, and the shortest way out."""

    name: str
    reason: str
    recipe: str


UNREAD_FORMATS: dict[str, UnreadFormat] = {
    "saved model": UnreadFormat(
        "TensorFlow SavedModel",
        "holds a TensorFlow graph, which may run code",
        f"{_TF2ONNX} --saved-model {{file}} --output {{stem}}.onnx",
    ),
    "frozen graph": UnreadFormat(
        "TensorFlow graph",
        "does not say which tensors are its input and output",
        f"{_TF2ONNX} --graphdef {{file}} --inputs INPUT:0 --outputs OUTPUT:0 "
        "--output {stem}.onnx",
    ),
    "tensorflow checkpoint": UnreadFormat(
        "TensorFlow checkpoint",
        "holds variables without their network",
        'where the network is defined: model.load_weights("{stem}"); model.save("{stem}.keras")',
    ),
    "tfjs graph": UnreadFormat(
        "TensorFlow.js graph model",
        "holds a TensorFlow graph, not layers",
        f"{_TF2ONNX} --tfjs {{file}} --output {{stem}}.onnx",
    ),
    "tfjs layers": UnreadFormat("TensorFlow.js layers model", OF_ANOTHER, _GIVE_IT),
    "keras": UnreadFormat("Keras model", OF_ANOTHER, _GIVE_IT),
    "keras architecture": UnreadFormat(
        "Keras architecture",
        "holds layers without their weights",
        'keras.models.model_from_json(open("{file}").read()), then load_weights(WEIGHTS) and '
        'save("{stem}.keras")',
    ),
    "torch": UnreadFormat("PyTorch checkpoint", OF_ANOTHER, _GIVE_IT),
    "torch under another name": UnreadFormat(
        "PyTorch checkpoint",
        "has an ending under which no model is looked for",
        "if it is a model, call it {stem}.pth",
    ),
    "onnx under another name": UnreadFormat(
        "ONNX", "has an ending under which no model is looked for", "call it {stem}.onnx"
    ),
    "tflite under another name": UnreadFormat(
        "TFLite", "has an ending under which no model is looked for", "call it {stem}.tflite"
    ),
    "keras under another name": UnreadFormat(
        "Keras model", "has an ending under which no model is looked for", "call it {stem}.keras"
    ),
    "safetensors under another name": UnreadFormat(
        "safetensors",
        "has an ending under which no model is looked for",
        "call it {stem}.safetensors",
    ),
    "hdf5 under another name": UnreadFormat(
        "HDF5",
        "has an ending under which no model is looked for",
        "if Keras wrote it, call it {stem}.h5",
    ),
    "safetensors": UnreadFormat("safetensors", OF_ANOTHER, _GIVE_IT),
    "shards": UnreadFormat(
        "checkpoint in several files",
        "keeps one model in several files",
        'join them: AutoModelForImageClassification.from_pretrained(FOLDER).save_pretrained("one", '
        'max_shard_size="100GB")',
    ),
    "adapter": UnreadFormat(
        "LoRA adapter",
        "changes another model and is none itself",
        'merge it: model.merge_and_unload().save_pretrained("merged")',
    ),
    "torchscript": UnreadFormat(
        "TorchScript",
        "holds a program",
        f'model = torch.jit.load("{{file}}"); {_TORCH_EXPORT}',
    ),
    "torch export": UnreadFormat(
        "torch.export program",
        "holds a program",
        'torch.onnx.export(torch.export.load("{file}"), f="{stem}.onnx", dynamo=True)',
    ),
    "executorch": UnreadFormat("ExecuTorch program", "holds a program for a device", _AGAIN),
    "torch7": UnreadFormat(
        "Torch7 model",
        "is of a framework that ended in 2017",
        "load it with torchfile, fill a PyTorch network with it, and export that to ONNX",
    ),
    "fastai": UnreadFormat(
        "fastai learner",
        _CODE,
        'model = load_learner("{file}").model.cpu(); ' + _TORCH_EXPORT,
    ),
    "sklearn": UnreadFormat(
        "scikit-learn model",
        _CODE,
        'pip install skl2onnx; skl2onnx.to_onnx(model, X[:1]).SerializeToString() in "{stem}.onnx"',
    ),
    "pickle": UnreadFormat(
        "Python pickle", _CODE, "if it is a model, export it to ONNX where its classes are defined"
    ),
    "coreml": UnreadFormat(
        "Core ML model",
        "runs on Apple's systems alone",
        f"{_AGAIN}; coremltools writes no ONNX",
    ),
    "openvino": UnreadFormat(
        "OpenVINO model",
        "is of OpenVINO, which writes no ONNX",
        f"{_AGAIN}, for example: yolo export model=best.pt format=onnx",
    ),
    "ncnn": UnreadFormat(
        "NCNN model",
        "is of ncnn, which writes no ONNX",
        f"{_AGAIN}, for example: yolo export model=best.pt format=onnx",
    ),
    "mnn": UnreadFormat("MNN model", "is of MNN, which writes no ONNX", _AGAIN),
    "tensorrt": UnreadFormat(
        "TensorRT engine",
        "is compiled for one kind of GPU",
        "give the ONNX file that it was built from",
    ),
    "ort": UnreadFormat(
        "ONNX Runtime format",
        "holds an optimized graph of one version of ONNX Runtime",
        "give the .onnx file that it was made from",
    ),
    "paddle": UnreadFormat(
        "PaddlePaddle model",
        "is of PaddlePaddle",
        "pip install paddle2onnx; paddle2onnx --model_dir . --model_filename {file} "
        "--params_filename {stem}.pdiparams --save_file {stem}.onnx",
    ),
    "paddle weights": UnreadFormat(
        "PaddlePaddle weights",
        "holds weights without their network",
        'where the network is defined: paddle.onnx.export(model, "{stem}", input_spec=[...])',
    ),
    "mxnet": UnreadFormat(
        "MXNet model",
        "is of MXNet, which ended in 2023",
        'mx.onnx.export_model("{stem}-symbol.json", "{file}", [(1, 3, 224, 224)], np.float32, '
        '"{stem}.onnx")',
    ),
    "caffe": UnreadFormat(
        "Caffe model",
        "is of Caffe, which ended in 2017",
        "pip install caffe2onnx; python -m caffe2onnx.convert --prototxt deploy.prototxt "
        "--caffemodel {file} --onnx {stem}.onnx",
    ),
    "darknet": UnreadFormat(
        "Darknet weights",
        "holds weights whose network is in a .cfg file",
        "build the network of the .cfg file in PyTorch, load {file} into it, and export that",
    ),
    "npz": UnreadFormat(
        "NumPy arrays",
        "holds arrays without their network",
        "where the network is defined: load them into it and export that to ONNX",
    ),
    "flax": UnreadFormat(
        "Flax weights",
        "holds weights without their network",
        "AutoModelForImageClassification.from_pretrained(FOLDER, from_flax=True)"
        '.save_pretrained("torch")  # transformers before 5',
    ),
    "gguf": UnreadFormat("GGUF model", "is of llama.cpp, mostly a language model", _AGAIN),
    "mindspore": UnreadFormat(
        "MindSpore model",
        "is of MindSpore",
        'where the network is defined: mindspore.export(net, x, file_name="{stem}", '
        'file_format="ONNX")',
    ),
    "rknn": UnreadFormat("RKNN model", _ONE_DEVICE, _AGAIN),
    "device": UnreadFormat("model for an accelerator", _ONE_DEVICE, _AGAIN),
    "unknown": UnreadFormat(
        "binary file",
        "its first bytes are of no format that is known",
        "if it is a model, export it to ONNX",
    ),
}
"""By a key of ours; the key itself is shown nowhere."""

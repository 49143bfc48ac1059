"""The encoder's tokenizer: lower-cased WordPiece over the captions' words and common pieces."""

from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from towers import MAX_TOKENS

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"()-/&+_#%"
PIECES = """
s es ed ing er ers or ly al ion ions tion y ies ish ful less ness ment able ible ous ive ic
ist an en in on at it is as ar el le re st th ch sh ck ll ss tt oo ee ea ai ou ow ay ey ur ir
un ble ight ound ack ick ock uck ing ong ang and end ind ond ant ent int ist ost ust ame ime
ome ate ite ote ake ike oke ain tain ber der ger ker ler mer ner per ter ver man men ton ville
wood fish bird
"""
EVERYDAY_WORDS = """
the of and to in is it that for was on are as with his they at be this have from or one had by
word but not what all were we when your can said there use each which she do how their if will
up other about out many then them these so some her would make like him into time has look two
more write go see number no way could people my than first water been call who oil its now
find long down day did get come made may part golden retriever big small old new young happy
sad wild little large bright dark colour color round wooden metal plastic sweet fresh fruit
vegetable drink toy game music sport ball vehicle building kitchen garden street city sky sea
night man woman child person hand head tail leg holding eating playing standing sitting
running close view side top front behind near image drawing painting icon cartoon emoji
"""


def build_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A WordPiece tokenizer that takes any text: unknown words become pieces, then [UNK]."""
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    counts = Counter(
        word
        for text in texts
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )
    by_frequency = sorted(counts, key=lambda word: (-counts[word], word))
    entries = [*SPECIAL, *CHARACTERS, *(f"##{letter}" for letter in CHARACTERS)]
    entries += [*by_frequency, *EVERYDAY_WORDS.split(), *(f"##{piece}" for piece in PIECES.split())]
    vocabulary = {entry: index for index, entry in enumerate(dict.fromkeys(entries))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(pad_id=vocabulary["[PAD]"], pad_token="[PAD]")
    return tokenizer

"""What lies in and beside a model file comes in; its input and labels go out."""

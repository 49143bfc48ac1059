"""Layer 0: values, errors and small tools that need nothing but numpy, pillow and the stdlib."""

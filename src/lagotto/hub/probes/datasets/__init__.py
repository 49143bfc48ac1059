"""A dataset on the Hugging Face Hub comes in; a sample of its pictures on this disk goes out."""

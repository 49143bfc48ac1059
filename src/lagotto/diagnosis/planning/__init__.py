"""A number of models and a machine come in; what their hub costs in time and room goes out."""

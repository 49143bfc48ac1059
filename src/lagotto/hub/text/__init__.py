"""Labels and words of a query come in; their common form and how alike they are go out."""

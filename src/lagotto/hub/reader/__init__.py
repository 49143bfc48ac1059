"""A hub folder comes in; everything that can be read of it goes out, checked."""

"""A hub with truth comes in; the tables and figures of the ProbeLog paper go out."""

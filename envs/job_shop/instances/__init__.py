"""The public benchmark instances as data: one file per family, with sources and known bounds."""

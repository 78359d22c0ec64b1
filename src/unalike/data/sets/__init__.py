"""One small file for each set of the catalogue.

``open_set(name, folder, **options)`` opens it as a `Collection`; where the set is fetched,
``convert(name, sources, made)`` turns its unpacked archives, one folder each, into the files that are kept; and
``TABLES`` names, for each set of the file, the Parquet files with what is no row of the collection: links, ratings.
"""

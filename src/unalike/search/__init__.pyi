from .exact import top_k as top_k
from .index import Hit as Hit
from .index import Index as Index

from .base import Encoded as Encoded
from .base import Encoder as Encoder
from .base import Prepared as Prepared
from .base import Tokens as Tokens

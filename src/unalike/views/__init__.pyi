from .tokens import Tokens as Tokens

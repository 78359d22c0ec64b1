from .inputs import Hit as Hit
from .inputs import Item as Item
from .inputs import ReportInputs as ReportInputs
from .page import render as render
from .page import search_page as search_page
from .page import write as write

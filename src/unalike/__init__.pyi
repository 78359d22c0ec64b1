from .data import Collection as Collection
from .errors import DataError as DataError
from .errors import MissingExtra as MissingExtra
from .errors import RunError as RunError
from .errors import SettingsError as SettingsError
from .errors import TrainingError as TrainingError
from .errors import UnalikeError as UnalikeError
from .runs.estimator import ContrastiveTransformer as ContrastiveTransformer
from .runs.fit import fit as fit
from .runs.fit import resume as resume
from .runs.run import Run as Run
from .runs.run import load as load
from .runs.search import Found as Found
from .runs.vectors import Embedded as Embedded
from .training import Training as Training

__version__: str

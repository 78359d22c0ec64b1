from .data import Collection as Collection
from .errors import DataError as DataError
from .errors import MissingExtra as MissingExtra
from .errors import RunError as RunError
from .errors import SettingsError as SettingsError
from .errors import TrainingError as TrainingError
from .errors import UnalikeError as UnalikeError
from .fitting import fit as fit
from .fitting import resume as resume
from .run import Found as Found
from .run import Run as Run
from .run import load as load
from .runs.estimator import ContrastiveTransformer as ContrastiveTransformer
from .runs.vectors import Embedded as Embedded
from .training import Training as Training

__version__: str

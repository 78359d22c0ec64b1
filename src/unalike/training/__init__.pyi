from .learner import Batch as Batch
from .learner import Learner as Learner
from .learner import Update as Update

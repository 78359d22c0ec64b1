from .diffusion import Diffusion as Diffusion
from .diffusion import cosine_schedule as cosine_schedule
from .diffusion import linear_schedule as linear_schedule
from .unet import UNet as UNet

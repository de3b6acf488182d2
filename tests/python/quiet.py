"""Keeps diffusers and transformers from talking; to be imported before them."""

import os

os.environ["DIFFUSERS_VERBOSITY"] = "error"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

from diffusers.utils import logging
from transformers.utils import logging as transformers_logging

logging.disable_progress_bar()
transformers_logging.disable_progress_bar()

"""The Simple Open Framing Header, by the name that it had before `framing` had others beside it."""

from .framing.sofh import SBE_BIG_ENDIAN as SBE_BIG_ENDIAN
from .framing.sofh import SBE_LITTLE_ENDIAN as SBE_LITTLE_ENDIAN
from .framing.sofh import SOFH_LENGTH as SOFH_LENGTH
from .framing.sofh import FramingError as FramingError
from .framing.sofh import Splitter as Splitter
from .framing.sofh import framed as framed

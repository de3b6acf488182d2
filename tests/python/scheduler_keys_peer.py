"""Arguments of diffusers' schedulers, for scheduler_keys_test.

    scheduler_keys_peer.py OUT   for DDIMScheduler and
                                 FlowMatchEulerDiscreteScheduler as JSON:
                                 "own", its arguments, and "passed_over", those
                                 of DDIMScheduler and of the classes whose
                                 configs it takes, and two of 2022; each of
                                 these is given to from_config, which must
                                 leave it alone
"""

import inspect
import json
import pathlib
import sys

import quiet  # before the others
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler


OF_2022 = {"tensor_format", "timestep_values"}


def arguments(kind):
    return set(inspect.signature(kind.__init__).parameters) - {
        "self", "args", "kwargs"}


def keys_of(kind):
    own = arguments(kind)
    others = set().union(*(arguments(other) for other in
                           kind._get_compatibles() + [DDIMScheduler]))
    passed_over = sorted((others | OF_2022) - own)
    plain = kind()
    plain.set_timesteps(7)
    other = kind.from_config({key: "anything" for key in passed_over})
    other.set_timesteps(7)
    assert other.timesteps.equal(plain.timesteps)
    return {"own": sorted(own), "passed_over": passed_over}


pathlib.Path(sys.argv[1]).write_text(json.dumps(
    {kind.__name__: keys_of(kind)
     for kind in (DDIMScheduler, FlowMatchEulerDiscreteScheduler)}))

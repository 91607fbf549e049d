"""`ovlab try`: a page on this machine on which a photograph is segmented with the words that one types."""

import argparse
import socket

from ovlab.commands.method_option import add_method_files
from ovlab.specs.errors import InputError

_HOST = "127.0.0.1"

_EPILOG = """\
examples:
  ovlab try runs/first                            then open the address that it prints
  ovlab try clip:shapes-vit-s --port 8000
  ovlab try clip:vit-b16 --clip ViT-B-16.pt

The page is reached from this machine alone, and closes with the command (Ctrl-C). Nothing that is shown to it is kept.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "try",
        help="try words on photographs in a browser",
        description="Open a page on this machine: drop a photograph, type words, point for their scores.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", metavar="RUN", help="folder of a run, its weights file, or clip:PRESET")
    parser.add_argument("--clip", metavar="FILE", help="CLIP weights for clip:PRESET: a file or open_clip's tag")
    add_method_files(parser)
    parser.add_argument("--port", type=int, default=0, help="of the page (default: one that is free)")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    # Before the weights, which take longer to read.
    with _listening(arguments.port) as listening:
        return _serve(arguments, listening)


def _listening(port: int) -> socket.socket:
    """Raises InputError for a port that cannot be had."""
    try:
        return socket.create_server((_HOST, port))
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "ports go to 65535"
        raise InputError(f"--port {port}: cannot be listened on ({reason}); give another one, or none.") from None


def _serve(arguments: argparse.Namespace, listening: socket.socket) -> int:
    import uvicorn

    from logoseg.predictor import Predictor
    from ovlab.commands.try_page import try_page
    from ovlab.methods.registry import own_files
    from ovlab.runs.device import pick_device
    from ovlab.runs.subject import find_subject

    device = pick_device(arguments.device)
    subject = find_subject(arguments.weights, arguments.clip, method_files=own_files(arguments.method))
    network = subject.open_model().to(device)
    page = try_page(lambda words: Predictor(network, words))
    print(f"open http://{_HOST}:{listening.getsockname()[1]}/    (Ctrl-C ends it)", flush=True)
    try:
        uvicorn.Server(uvicorn.Config(page, log_level="warning", lifespan="off")).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn has answered what was asked, then raises it anew
        print()
    return 0

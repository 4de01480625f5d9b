"""What `mlops demo` may be told."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", default="", help="where to build it (default: a new temporary folder)")
    parser.add_argument("--deploy", action="store_true", help="go on to production, on this machine's Docker: three releases under traffic")
    parser.add_argument("--registry", default="", metavar="HOST:PORT", help="a registry that takes images (default: one in Docker)")
    parser.add_argument("--base", default="", metavar="IMAGE", help="an image with Python (default: an official slim one)")
    parser.add_argument("--proxy", default="", metavar="IMAGE", help="an image of HAProxy (default: the official one)")
    parser.add_argument("--port", type=int, default=0, metavar="PORT", help="where the model answers (default: 8080, or one that is free)")
    parser.add_argument("--remove", action="store_true", help="remove from Docker what --deploy left there")

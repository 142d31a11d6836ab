#!/usr/bin/env python
"""Django's command line. ``bin/manage`` runs it in the project's environment and on its data."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bridge_project.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # a bad setting is the operator's to mend: the sentence, not a traceback
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()

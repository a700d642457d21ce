#!/usr/bin/env bash
# Make a recipe of your own recordings. Try --help.
exec "$(dirname "${BASH_SOURCE[0]}")/new_recipe.py" "$@"

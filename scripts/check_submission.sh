#!/bin/sh
# Usage: check_submission.sh COMMIT FOLDER
# Takes the packs that COMMIT adds to results/submitted into FOLDER, under names of our own, and checks each. Nothing of
# COMMIT is run. Fails where it adds none, changes one that is there, holds a link, or where one does not pass the check.
set -eu
commit=$1 folder=$2
mkdir -p "$folder"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
git -c core.quotePath=true diff-tree -r --no-commit-id --no-renames HEAD "$commit" -- results/submitted >"$list"
number=0
while read -r _ mode _ blob status path; do
    case "$status $path" in
        "A results/submitted/"*.zip) ;;
        *) echo "results/submitted may only gain .zip files: $status $path" >&2; exit 2 ;;
    esac
    if [ "$mode" != 100644 ]; then echo "$path is no plain file" >&2; exit 2; fi
    if [ "$(git cat-file -s "$blob")" -gt 100000000 ]; then echo "$path is larger than 100 MB" >&2; exit 2; fi
    number=$((number + 1))
    git cat-file blob "$blob" >"$folder/$number.zip"
    echo "$path"
    ${BENCH:-bench} results check "$folder/$number.zip"
done <"$list"
if [ "$number" = 0 ]; then echo "no pack was added to results/submitted" >&2; exit 2; fi

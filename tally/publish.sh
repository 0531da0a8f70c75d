#!/usr/bin/env bash
# Publish tonight's histories for the tills: whole, or not at all.
#
# usage: publish.sh [--dry-run] URL SHELF
#   URL    where the sender put histories.csv and then histories.csv.sha256
#   SHELF  the folder in which the tills look for histories.csv
#
# exit: 0 published   2 wrong call   3 another run is at work
#       4 could not be fetched       5 not what the sender sent       others: something else failed
# With 2 to 5 the tills read what they read before, with any other code that or tonight's file, and each of them
# whole. It may be run again at any time.
set -euo pipefail

refuse() { # refuse CODE WHY
    echo "publish: $2" >&2
    exit "$1"
}

dry_run=no
if [[ ${1:-} == --dry-run ]]; then
    dry_run=yes
    shift
fi
[[ $# -eq 2 ]] || refuse 2 "usage: publish.sh [--dry-run] URL SHELF"
url=$1
shelf=$2
[[ -d $shelf ]] || refuse 2 "there is no folder $shelf"

exec 9>"$shelf/.lock" # free again when the last process that holds descriptor 9 has ended
flock --nonblock 9 || refuse 3 "another run is at work on $shelf"

rm -rf "$shelf"/.work.* # of runs that were killed: we hold the lock, so none is at work
work=$(mktemp -d "$shelf/.work.XXXXXX") # the same disk: there, a move is a rename
trap 'rm -rf "$work"' EXIT

for name in histories.csv.sha256 histories.csv; do
    # 9>&- : a curl that outlives us must not keep the lock
    curl --fail --silent --show-error --max-time 300 \
        --output "$work/$name" "$url/$name" 9>&- ||
        refuse 4 "could not fetch $url/$name"
done

(cd "$work" && sha256sum --check --status histories.csv.sha256) ||
    refuse 5 "histories.csv is not the file that the sender counted"
rows=$(($(wc -l <"$work/histories.csv") - 1))
((rows > 0)) || refuse 5 "histories.csv has no rows"

if [[ $dry_run == yes ]]; then
    echo "would publish $rows rows to $shelf"
    exit
fi
sync "$work/histories.csv" # on the disk before it has its name
mv "$work/histories.csv" "$shelf/histories.csv"
echo "published $rows rows to $shelf"

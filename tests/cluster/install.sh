#!/usr/bin/env bash
# What `make test-cluster` needs of the system: Debian's Slurm, munge, and `ip` for network namespaces.
# Not root, or not Debian: nothing is installed, and the tests that lack a program are skipped with that reason.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
packages=()
for pair in slurmctld:slurm-wlm slurmd:slurm-wlm sbatch:slurm-wlm munged:munge ip:iproute2; do
  command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
[ ${#packages[@]} -gt 0 ] || exit 0
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed: ${packages[*]} (root and apt-get could); their tests are skipped"
  exit 0
fi
echo "installing ${packages[*]} with apt-get, their services left off"
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
(apt-get update -qq && apt-get install -qq -y --no-install-recommends "${packages[@]}") >/dev/null ||
  echo "apt-get could not install ${packages[*]}; their tests are skipped"

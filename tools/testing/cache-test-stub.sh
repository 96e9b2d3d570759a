#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What cache-test.sh has in place of the programs that setup.sh calls for "debian-arm64":
# nothing is installed or fetched, and debootstrap's arguments go to STUB_ARGUMENTS.

case ${0##*/} in
debootstrap) echo "$*" >"$STUB_ARGUMENTS"; exit 1 ;;
sudo) exec "$@" ;;
dpkg-query) echo "ok installed" ;;
df) printf 'Free\na b c 99999\n' ;;
apt-get) echo "Debian|copy:/nowhere/debian/" ;;
esac

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# cache-test.sh uses this in place of the programs that setup.sh calls for
# "debian-arm64". It installs and fetches nothing, and writes debootstrap's arguments
# to STUB_ARGUMENTS.

case ${0##*/} in
debootstrap) echo "$*" >"$STUB_ARGUMENTS"; exit 1 ;;
sudo) exec "$@" ;;
dpkg-query) echo "ok installed" ;;
df) printf 'Free\na b c 99999\n' ;;
apt-get) echo "Debian|copy:/nowhere/debian/" ;;
esac

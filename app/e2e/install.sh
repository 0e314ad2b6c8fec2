#!/bin/sh
# The tests in a browser need Chromium, and fonts for Chinese and emoji. Where
# Debian's packages are at hand, what is missing is installed.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="chromium"
if command -v apt-get >/dev/null 2>&1; then
	[ -e /usr/share/doc/fonts-noto-cjk ] || missing="$missing fonts-noto-cjk"
	[ -e /usr/share/doc/fonts-noto-color-emoji ] || missing="$missing fonts-noto-color-emoji"
fi
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null 2>&1 || { echo "The tests in a browser need Chromium; please install it."; exit 1; }
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
echo "The tests in a browser need$missing; installing with apt-get ..."
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null

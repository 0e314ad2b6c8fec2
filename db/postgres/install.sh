#!/bin/sh
# Installs Postgres with the machine's package manager, unless it is there:
# `make run` and `make test` take it for the private cluster. Only the programs
# are wanted; no server of the system is made or changed.
#
# The places and the oldest version are those of binaries.go.
set -eu

oldest=14

# usable DIR: does DIR hold initdb and a postgres that is new enough?
usable() {
	[ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
	major=$("$1/postgres" --version 2>/dev/null | sed -n 's/^[^)]*) \([0-9][0-9]*\).*/\1/p')
	[ "${major:-0}" -ge "$oldest" ]
}

present() {
	if [ -n "${PARLOR_POSTGRES_BIN:-}" ]; then
		usable "$PARLOR_POSTGRES_BIN"
		return
	fi
	for dir in \
		/usr/lib/postgresql/*/bin \
		/usr/pgsql-*/bin \
		/usr/libexec/postgresql* \
		/usr/lib/postgresql*/bin \
		/opt/homebrew/opt/postgresql@*/bin \
		/usr/local/opt/postgresql@*/bin \
		/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin \
		/Applications/Postgres.app/Contents/Versions/*/bin
	do
		if usable "$dir"; then return 0; fi
	done
	path=$(command -v postgres) && usable "$(dirname "$path")"
}

has() { command -v "$1" >/dev/null 2>&1; }

# The superuser's right is asked for by the commands that need it, no others.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif has sudo; then
		sudo "$@"
	else
		echo "This takes root, and there is no sudo. As root, type: $*" >&2
		exit 1
	fi
}

say() { echo "Parlor needs Postgres $oldest or newer, and this machine has none. $1" >&2; }

if present; then exit 0; fi

if [ -n "${PARLOR_POSTGRES_BIN:-}" ]; then
	echo "PARLOR_POSTGRES_BIN is $PARLOR_POSTGRES_BIN, but that folder holds no initdb and postgres of version $oldest or newer." >&2
	exit 1
elif has apt-get; then
	say "Installing it with apt-get."
	# Debian's package makes and starts a cluster for the system unless it is
	# told not to. That is told for this installation only.
	no_cluster=/etc/postgresql-common/createcluster.d/parlor-installs.conf
	as_root mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
	installed=0
	as_root apt-get update &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql ||
		installed=$?
	as_root rm -f "$no_cluster"
	[ "$installed" = 0 ] || exit "$installed"
elif has dnf; then
	say "Installing it with dnf."
	# Red Hat's default is older than 14; Fedora knows no such module.
	if dnf -q module list postgresql:16 >/dev/null 2>&1; then
		as_root dnf module enable -y postgresql:16
	fi
	as_root dnf install -y postgresql-server
elif has apk; then
	say "Installing it with apk."
	as_root apk add postgresql
elif has pacman; then
	say "Installing it with pacman."
	as_root pacman -S --needed --noconfirm postgresql
elif has brew; then
	say "Installing it with brew."
	brew install postgresql@17
else
	say "Install it with your package manager, or set DATABASE_URL to a server elsewhere."
	exit 1
fi

if ! present; then
	echo "The package manager has installed a Postgres older than $oldest. See https://www.postgresql.org/download/ for newer ones." >&2
	exit 1
fi

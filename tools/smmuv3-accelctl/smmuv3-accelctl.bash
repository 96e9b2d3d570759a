# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion of smmuv3-accelctl for bash.

_smmuv3_accelctl() {
	local word=${COMP_WORDS[COMP_CWORD]} command='' options='--json --help' words='' i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-r | --root) i=$((i + 1)) ;;
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	case $command in
	'') options+=' --root --version' words='info list stats decode' ;;
	info) options+=' --all --probe' ;;
	stats) options+=' --watch --count' ;;
	decode) options+=' --all --bytes --idr' words='ste cmd event idr' ;;
	esac
	if [[ -z $command && ${COMP_WORDS[COMP_CWORD - 1]} == @(-r|--root) ]]; then
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	fi
}
complete -F _smmuv3_accelctl smmuv3-accelctl

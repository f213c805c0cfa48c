# bash completion for mailctl: mailctl completion bash > /usr/share/bash-completion/completions/mailctl
_mailctl() {
	local IFS=$'\n' reply
	COMPREPLY=()
	# The line as it stands is read by mailctl itself: what bash makes of = and : in words is no help.
	reply=($("$1" __complete --breaks="$COMP_WORDBREAKS" -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)) || return 0
	case ${reply[0]} in
	files) compopt -o default 2>/dev/null ;;
	dirs) compopt -o dirnames 2>/dev/null ;;
	*)
		COMPREPLY=("${reply[@]:1}")
		# What ends in = : or @ goes on.
		[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=:@] ]] && compopt -o nospace 2>/dev/null
		;;
	esac
	return 0
}
complete -F _mailctl mailctl

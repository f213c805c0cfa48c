#compdef mailctl
# zsh completion for mailctl: mailctl completion zsh > /usr/share/zsh/vendor-completions/_mailctl
_mailctl() {
	local -a reply shown values
	local line
	reply=("${(@f)$("${(Q)words[1]}" __complete --words -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
	case $reply[1] in
	files) _files ;;
	dirs) _files -/ ;;
	*)
		for line in "${(@)reply[2,-1]}"; do
			[[ -n $line ]] || continue
			values+=("${line%%$'\t'*}")
			shown+=("${line/$'\t'/  -- }")
		done
		(( $#values )) && compadd -l -d shown -- "${(@)values}"
		;;
	esac
}
if [[ ${funcstack[1]} == _mailctl ]]; then
	_mailctl "$@"
else
	compdef _mailctl mailctl
fi

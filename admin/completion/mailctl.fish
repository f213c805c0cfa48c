# fish completion for mailctl: mailctl completion fish > /usr/share/fish/vendor_completions.d/mailctl.fish
function __mailctl_complete
	set -l words (commandline -opc)
	set -l current (commandline -ct)
	set -l reply ($words[1] __complete --words -- $words[2..-1] "$current" 2>/dev/null)
	switch "$reply[1]"
		case files
			__fish_complete_path "$current"
		case dirs
			__fish_complete_directories "$current"
		case '*'
			for line in $reply[2..-1]
				echo $line
			end
	end
end
complete -c mailctl -f -a '(__mailctl_complete)'

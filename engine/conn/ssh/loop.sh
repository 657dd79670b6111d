# The loop. A request is a line with the length of a script in bytes and, if it
# is to be read line by line, in lines, the mark that ends the answer, and ledger
# entries that are not needed any more; then the script. Reading lines takes no
# program, and is slow where there are many bytes.
# What printf is: a program would show to all who look what it is to print.
printf '\n%s ' "$READY"
command -v printf
while IFS=' ' read -r N L K A <&3; do
	S=
	if [ "$L" = 0 ]; then
		S=$(head -c "$N" <&3 && printf .) || exit
		S=${S%.}
	fi
	while [ "$L" -gt 0 ]; do
		IFS= read -r X <&3 || exit
		S="$S$X
"
		L=$((L - 1))
	done
	(eval "$S")
	S=$?
	printf '\n%s %s\n' "$K" "$S"
	printf '\n%s %s\n' "$K" "$S" >&2
	[ -n "$A" ] || continue
	set --
	for X in $A; do set -- "$@" "$X" "$X.in" "$X.pid" "$X.out" "$X.err" "$X.exit"; done
	(cd "$R" && exec rm -f -- "$@")
done

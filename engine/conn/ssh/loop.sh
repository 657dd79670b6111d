# The loop. A request is a line with the length of a script, the mark that ends
# the answer, and ledger entries that are not needed any more; then the script.
# What printf is: a program would show to all who look what it is to print.
printf '\n%s %s\n' "$READY" "$(command -v printf)"
while IFS=' ' read -r N K A <&3; do
	S=$(head -c "$N" <&3 && printf .) || exit
	(eval "${S%.}")
	S=$?
	printf '\n%s %s\n' "$K" "$S"
	printf '\n%s %s\n' "$K" "$S" >&2
	[ -z "$A" ] || (cd "$R" && rm -rf -- $A)
done

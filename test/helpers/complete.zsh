# Prints what zsh offers for the beginning of a command line: complete.zsh FOLDER_OF_FUNCTIONS BEGIN
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PROMPT= RPROMPT=; stty -echo; fpath=(${(q)1} \$fpath)"
zpty -w inner 'autoload -Uz compinit; compinit -D -u; bindkey "^I" complete-word; setopt nobeep'
zpty -w inner 'zstyle ":completion:*" list-grouped no'
zpty -w inner 'offered () { print -r -- "<END>"; exit }; compprefuncs=(before); before () { comppostfuncs=(offered) }'
# Every offer of a completion function goes through compadd.
zpty -w inner '
compadd () {
  [[ ${@[1,(i)(-|--)]} == *-(O|A|D)* ]] && { builtin compadd "$@"; return }
  typeset -a offers
  builtin compadd -A offers "$@"
  local offer
  for offer in $offers; do print -r -- "<$IPREFIX$offer>"; done
  builtin compadd "$@"
}
print "<""READY>"'
while zpty -r inner line && [[ $line != *"<READY>"* ]]; do :; done
zpty -w -n inner "$2"$'\t'
while zpty -r inner line && [[ $line != *"<END>"* ]]; do
  [[ $line == *"<"*">"* ]] && { line=${line%>*}; print -r -- ${line#*<} }
done

#!/bin/sh
# Answers for the package ompi, the name under which cgo asks for MPI in empi, with the flags of the chosen MPI.
# Every other package is left to the real program.
compile=@COMPILE@
link=@LINK@
others=@OTHERS@
want= package= other=
for a in "$@"; do
  case $a in
  --cflags) want="$want compile" ;;
  --libs) want="$want link" ;;
  -*) ;;
  ompi) package=ompi ;;
  *) other=$a ;;
  esac
done
if [ "$package" != ompi ] || [ -n "$other" ]; then exec "$others" "$@"; fi
line=
for w in $want; do
  case $w in
  compile) line="$line $compile" ;;
  link) line="$line $link" ;;
  esac
done
printf '%s\n' "${line# }"

#!/bin/sh
# Makes the built-in prompts out of prompts.txt: 8 kHz µ-law WAV files beside it.
# Needs Debian's espeak-ng and sox; without dither (-D) the same versions make the
# same bytes. Debian 12's are espeak-ng 1.51 and sox 14.4.2.
set -eu
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

grep -v '^#' prompts.txt | while IFS=: read -r name text; do
	espeak-ng -v en-us+f3 -s 150 -p 45 -w "$scratch/$name.wav" "$text"
	# The telephone's band, peaks at -6 dB, a short rest at both ends.
	sox -D "$scratch/$name.wav" -r 8000 -c 1 -e u-law -b 8 "$name.wav" \
		highpass 200 lowpass 3400 gain -n -6 silence 1 0.01 -50d reverse silence 1 0.01 -50d reverse pad 0.1 0.3
done
ls -l ./*.wav

#!/bin/sh
# Makes the built-in prompts: en.txt into en/*.wav, es.txt into es/*.wav, 8 kHz
# µ-law. Needs Debian's sox, festival with festvox-us-slt-hts, and espeak-ng. The
# same versions make the same bytes (nothing dithers: -D); Debian 12's are sox
# 14.4.2, festival 2.5.0 and espeak-ng 1.51.
#
# The voices are the best of Debian's main section: for English the statistical
# voice slt; for Spanish there is only espeak-ng there (pico and mbrola are not free).
#
#	make.sh [directory]	where to; beside this script if not said
set -eu
cd "$(dirname "$0")"
out=${1:-.}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

en() { printf '%s\n' "$1" | text2wave -eval '(voice_cmu_us_slt_arctic_hts)' -o "$2"; }
es() { espeak-ng -v es+f2 -s 145 -w "$2" "$1"; }

for language in en es; do
	mkdir -p "$out/$language"
	grep -v '^#' $language.txt | while IFS=: read -r name text; do
		$language "$text" "$scratch/$name.wav"
		# The telephone's band, peaks at -6 dB, a short rest at both ends.
		sox -D "$scratch/$name.wav" -r 8000 -c 1 -e u-law -b 8 "$out/$language/$name.wav" \
			highpass 200 lowpass 3400 gain -n -6 silence 1 0.01 -50d reverse silence 1 0.01 -50d reverse pad 0.1 0.3
	done
done
ls -l "$out"/*/*.wav

#!/bin/sh
# make.sh   encode speech.wav, one of Portero's own prompts, with other people's encoders
#
# Needs ffmpeg with libopus (Debian: ffmpeg). The first 2 s, which are 8 kHz
# audio: of G.722 the upper band is silent. TestForeignEncoders decodes them.
set -eu
cd "$(dirname "$0")"
in=speech.wav
enc() { ffmpeg -v error -y -t 2 -i "$in" -bitexact -map_metadata -1 "$@"; }
enc -ar 16000 -ac 1 -c:a g722 -f g722 speech.g722
enc -ar 16000 -ac 1 -c:a libopus -application voip -b:a 12k -frame_duration 60 silk.opus
enc -ar 48000 -ac 1 -c:a libopus -application voip -b:a 24k -frame_duration 20 hybrid.opus
enc -ar 48000 -ac 2 -c:a libopus -application lowdelay -b:a 64k -frame_duration 10 celt.opus

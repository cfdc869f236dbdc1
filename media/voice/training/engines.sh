#!/bin/sh
# Renders sentences with Debian's classic speech engines (espeak-ng, flite,
# festival with festvox-kallpc16k) and lists them in a manifest that
# `portero voice train` takes beside a corpus. Anyone can install these engines,
# so a corpus that has five clips of one of their voices has too few.
#
#   sh engines.sh DIRECTORY
set -eu
dir=${1:?usage: engines.sh DIRECTORY}
mkdir -p "$dir"
manifest=$dir/manifest.csv
echo path,label,kind,source,generator_or_speaker,weight > "$manifest"

n=0 # of the sentence pair
# Each pair of sentences is spoken by every voice, by espeak-ng's every third.
pairs() {
	cat <<'TEXT'
The ferry leaves from the second pier at a quarter past six. Bring a coat, the wind is cold on the water.
We have moved the meeting to Thursday afternoon. Please tell me whether your colleague can join us by phone.
My washing machine stopped in the middle of a cycle, and now the door will not open. It shows the letters E and three.
Your parcel is waiting at the post office on Garden Street. You need the yellow card and a document with your photograph.
I would like to change the address on my account. The new one is forty two Mill Lane, on the third floor.
The library closes early on public holidays. Books can be returned through the box beside the main entrance.
Could you check if the blue one is still in stock? I saw it last week in the window, next to the lamps.
The doctor will see you after lunch. Until then please drink plenty of water and do not take the tablets.
There was a long queue at the bank this morning, so I gave up. Is it possible to do this over the telephone?
The weather tomorrow will be mild with some rain in the west. Temperatures reach eighteen degrees in the afternoon.
I have been a customer for eleven years and nothing like this has ever happened. Who can I speak to about it?
I lost my card on the train yesterday evening. Could you block it, please, and send a new one to my home?
The museum opens at ten and the tour begins half an hour later. Children under twelve do not have to pay.
We ordered two chairs and a table, but only the table was delivered. The driver did not know anything about it.
My flight was cancelled because of fog, so I need a room for one more night. Breakfast is not necessary.
There is a strange noise from the engine whenever I go faster than fifty. Do you have time to look at it on Friday?
The plumber rang the bell at noon, but nobody was at home. He left a note and will try again next week.
Please hold the line while I look for the contract. It must be in one of these blue folders on the shelf.
You can reach our office on weekdays between nine and five. Outside these hours leave a message after the tone.
Her train arrives on platform seven, not on platform two. We should hurry, it is quite a long way to walk.
The price includes delivery and fitting, and you have two years of guarantee. Payment is due within thirty days.
Could I speak to somebody about the noise from the building site? It starts before seven and goes on all day long.
My grandmother used to make this soup with beans and a little vinegar. I never managed to get it quite right.
Turn left after the bridge and follow the river for about a mile. You will see an old mill with a red roof.
TEXT
}

add() { # path kind source speaker
	echo "$1,synthetic,$2,$3,$4,0.5" >> "$manifest"
}

pairs | while IFS= read -r text; do
	n=$((n + 1))
	for voice in kal kal16 awb rms slt; do
		f=flite-$voice-$n.wav
		flite -voice $voice -t "$text" -o "$dir/$f"
		add "$f" concatenative local:flite "flite-$voice"
	done
	echo "$text" | text2wave -o "$dir/festival-kal-$n.wav"
	add "festival-kal-$n.wav" concatenative local:festival festival-kal_diphone
	for voice in en en-us en-gb-x-rp en-gb-scotland es de fr it en+m3 en+f2 en+f4; do
		# Speed and pitch go through the ranges that people use.
		speed=$((130 + (n * 37) % 80)) pitch=$((30 + (n * 23) % 45))
		[ $((n % 3)) -eq 0 ] || continue
		f=espeak-$(echo $voice | tr + _)-$n.wav
		espeak-ng -v $voice -s $speed -p $pitch -w "$dir/$f" "$text"
		add "$f" formant local:espeak "espeak-$voice"
	done
done
wc -l < "$manifest"

#!/bin/sh
# Renders sentences with more of Debian's speech engines (festival's diphone,
# unit-selection and HMM voices in seven languages) and, where node and the npm
# packages sam-js and @echogarden/gnuspeech-wasm are installed under NODE_DIR,
# with SAM and Gnuspeech. Lists them in a manifest as engines.sh does.
#
#   sh engines-more.sh DIRECTORY [NODE_DIR]
#
# Debian: festival festvox-us-slt-hts festvox-ca-ona-hts festvox-kdlpc16k
# festvox-czech-dita festvox-czech-krb festvox-czech-machac festvox-czech-ph
# festvox-italp16k festvox-itapc16k festvox-ru festvox-suopuhe-lj festvox-suopuhe-mv
set -eu
dir=${1:?usage: engines-more.sh DIRECTORY [NODE_DIR]}
node_dir=${2:-}
mkdir -p "$dir"
manifest=$dir/manifest.csv
echo path,label,kind,source,generator_or_speaker,language,weight > "$manifest"

english() { cat <<'TEXT'
The ferry leaves from the second pier at a quarter past six. Bring a coat, the wind is cold on the water.
My washing machine stopped in the middle of a cycle, and now the door will not open. It shows an error.
I would like to change the address on my account. The new one is forty two Mill Lane, on the third floor.
Could you check if the blue one is still in stock? I saw it last week in the window, next to the lamps.
There was a long queue at the bank this morning, so I gave up. Is it possible to do this over the telephone?
I have been a customer for eleven years and nothing like this has ever happened. Who can I speak to about it?
The museum opens at ten and the tour begins half an hour later. Children under twelve do not have to pay.
My flight was cancelled because of fog, so I need a room for one more night. Breakfast is not necessary.
The plumber rang the bell at noon, but nobody was at home. He left a note and will try again next week.
You can reach our office on weekdays between nine and five. Outside these hours leave a message after the tone.
TEXT
}
czech() { cat <<'TEXT'
Dobry den, volam kvuli sve objednavce z minuleho tydne. Zatim mi nic neprislo a nikdo se neozval.
Muzete mi prosim rict, v kolik hodin zitra otevirate? Potrebuji si vyzvednout balik pro sestru.
Vlak do Brna odjizdi ze tretiho nastupiste v sedm hodin a deset minut. Prosime, nastupujte.
Vcera vecer jsem ztratil kartu v autobuse. Chtel bych ji zablokovat a pozadat o novou.
Pocasi bude zitra mirne, odpoledne misty dest. Teploty vystoupi na osmnact stupnu.
TEXT
}
italian() { cat <<'TEXT'
Buongiorno, chiamo per l'ordine della settimana scorsa. Non e ancora arrivato niente e vorrei sapere il perche.
Il treno per Firenze parte dal binario sette alle dieci e un quarto. I viaggiatori sono pregati di salire.
Ieri sera ho perso la carta sull'autobus. Vorrei bloccarla e averne una nuova a casa mia.
Domani il tempo sara mite, con qualche pioggia nel pomeriggio. Le temperature arrivano a diciotto gradi.
Potete dirmi se quello blu e ancora disponibile? L'ho visto in vetrina accanto alle lampade.
TEXT
}
finnish() { cat <<'TEXT'
Hyvaa paivaa, soitan viime viikon tilauksesta. Mitaan ei ole viela tullut, ja haluaisin tietaa syyn.
Juna Turkuun lahtee raiteelta seitseman kello kymmenen. Olkaa hyvat ja nouskaa junaan.
Kadotin eilen illalla korttini bussissa. Voisitteko sulkea sen ja lahettaa uuden kotiin.
Huomenna saa on leuto ja iltapaivalla sataa vahan. Lampotila nousee kahdeksaantoista asteeseen.
TEXT
}
russian() { cat <<'TEXT'
Добрый день, я звоню по поводу заказа на прошлой неделе. Пока ничего не пришло, и мне никто не ответил.
Поезд отправляется с третьего пути в семь часов десять минут. Просим пассажиров занять свои места.
Вчера вечером я потерял карту в автобусе. Хочу её заблокировать и получить новую.
Завтра будет тепло, днём местами дождь. Температура поднимется до восемнадцати градусов.
TEXT
}
catalan() { cat <<'TEXT'
Bon dia, truco per la comanda de la setmana passada. Encara no ha arribat res i voldria saber per que.
El tren de Girona surt de la via set a les deu i quart. Els viatgers ja poden pujar.
Ahir al vespre vaig perdre la targeta a l'autobus. Voldria bloquejar-la i tenir-ne una de nova.
Dema el temps sera suau, amb una mica de pluja a la tarda. Les temperatures arriben a divuit graus.
TEXT
}

add() { # path kind source speaker language
	echo "$1,synthetic,$2,$3,$4,$5,0.5" >> "$manifest"
}

say() { # voice kind language, sentences on standard input
	n=0
	while IFS= read -r text; do
		n=$((n + 1))
		f=festival-$1-$n.wav
		printf '%s\n' "$text" | text2wave -eval "(voice_$1)" -o "$dir/$f" 2>/dev/null || continue
		[ -s "$dir/$f" ] && add "$f" "$2" "local:festival-$3" "festival-$1" "$3"
	done
}

english | say cmu_us_slt_arctic_hts hmm en
english | say ked_diphone concatenative en
catalan | say upc_ca_ona_hts hmm ca
for v in dita krb machac ph; do czech | say czech_$v concatenative cs; done
for v in lp pc; do italian | say ${v}_diphone concatenative it; done
finnish | say suo_fi_lj_diphone concatenative fi
finnish | say hy_fi_mv_diphone concatenative fi
russian | say msu_ru_nsh_clunits concatenative ru

if [ -n "$node_dir" ]; then
	english > "$dir/english.txt"
	node "$(dirname "$0")/engines.mjs" "$node_dir" "$dir" < "$dir/english.txt" >> "$manifest"
	rm "$dir/english.txt"
fi
wc -l < "$manifest"

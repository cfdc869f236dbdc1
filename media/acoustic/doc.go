// Package acoustic takes robust prints of speech, for finding the same passage
// again in another call: over G.711, at another level, in mild noise, begun at
// another moment. It is no voiceprint: it identifies a passage, not a speaker,
// and the audio cannot be made from it.
//
// The method is that of Haitsma and Kalker (ISMIR 2002): signs of the changes of
// energy differences between neighbouring bands, 32 bits a step. Silence,
// tones and music give the empty word, so that hold music and ringback never
// pass for a campaign.
//
// It refuses to store or compare prints (policy/campaign does), to open
// anything, and to allocate per frame.
package acoustic

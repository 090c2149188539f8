/* What differs from one reply to the next of the same kind; private to the classifier. */
#pragma once
#include "base/str.h"

/*
 * Replaces, in a text that has been folded (domain/letters.h) and whose only white space is single
 * blanks, what names one recipient, host or message and not its kind:
 *
 *   @   an address                              <@>: recipient address rejected
 *   ~   a host name of three labels, or of two   host ~ said
 *       whose last is com, net, org …
 *   0   a number, IP address, date, time, id    [0] is on our list, try again in 0 seconds
 *
 * What stays: status codes; numbers of three digits from 400 on, and one of at most two behind such
 * ("554 30"); short codes of letters and digits ("tss04", "s3150"); the host of a URL, and the
 * words of its path. Returns the new length, which is no greater.
 */
size_t text_reduce(char *text, size_t len);

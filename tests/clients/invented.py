"""Identifiers that belong to nobody: the same codes as the invented ones of the core, area code PP9999."""

PROVINCES = (
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81"
).split()
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
# Stands on B07 in the demonstration's entries.
BARRED = "91219999MAYG58BR3Q"


def org9(n):
    digits = ""
    for _ in range(6):
        n, digit = divmod(n, 31)
        digits = ALPHABET[digit] + digits
    body = "WW" + digits
    weighted = sum(int(c, 36) * weight for c, weight in zip(body, (3, 7, 9, 10, 5, 8, 4, 2)))
    return body + "0123456789X"[(11 - weighted % 11) % 11]


def uscc(n):
    body = "91" + PROVINCES[n % len(PROVINCES)] + "9999" + org9(n)
    weighted = sum(ALPHABET.index(c) * pow(3, place, 31) for place, c in enumerate(body))
    return body + ALPHABET[-weighted % 31]

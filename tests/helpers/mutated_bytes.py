"""Random damage to files."""

import random


def mutant(data: bytes, chance: random.Random) -> bytes:
    """Up to four bytes changed, pieces cut out, repeated or moved."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found) or 1)
        length = chance.choice([1, 1, 2, 4, 8, 30])
        action = chance.randrange(5)
        if action == 0:
            found[at : at + 1] = chance.randbytes(1)
        elif action == 1:
            found[at : at + length] = bytes([chance.choice(b"\x00\xff\x7f\x80")]) * length
        elif action == 2:
            del found[at : at + length]
        elif action == 3:
            found[at:at] = found[at : at + length]
        else:
            other = chance.randrange(len(found) or 1)
            found[at : at + length] = found[other : other + length]
    return bytes(found)

"""Chapter 8 of the course."""


def test_a_second_tap_doubles_the_weights(chapter):
    names = chapter("08")
    assert names["weights_of_two_taps"] == 2 * names["weights"]

"""How each relation of `world.py` is asked for and answered.

A relation has an answer pattern, noun phrases that fit the generic frames,
direct questions used in training, and direct questions kept for the test.
`{s}` is the subject and `{v}` the value. The generic frames are split the same
way: a held-out question never appears in training, as a whole or as a pattern.
"""

# frames around a noun phrase {n}
FRAMES = [
    "Tell me {n}.", "Please tell me {n}.", "Name {n}.", "Can you tell me {n}?", "Do you know {n}?",
    "I would like to know {n}.", "Give me {n}.", "{N}?", "I forgot {n}. Can you help?", "Say {n}.",
    "I need to know {n}, please.", "Could you give me {n}?", "I am asking about {n}.",
    "Question: {n}?", "Help me with {n}.", "Please name {n}.", "What can you tell me about {n}?",
]
WH_FRAMES = [
    "{W} is {n}?", "Quick question: {w} is {n}?", "Please tell me {w} {n} is.", "Do you know {w} {n} is?",
    "Can you say {w} {n} is?", "{w} is {n}", "Hello! {W} is {n}?", "I forgot {w} {n} is.",
    "I would like to know {w} {n} is.", "Sorry, {w} is {n}?",
]
HELD_FRAMES = ["Could you please name {n}?", "I would like you to tell me {n}.", "Please give me {n}.",
               "Do you know {n}? Please tell me."]
HELD_WH_FRAMES = ["Please, {w} is {n}?", "Can you tell me {w} {n} is?", "Hello, do you know {w} {n} is?"]


class Relation:
    def __init__(self, wh, answer, nouns, asks, held):
        self.wh, self.answer = wh, answer
        self.nouns, self.asks, self.held = nouns.split(" / "), asks.split(" / "), held.split(" / ")

    def train_questions(self, s):
        out = [q.format(s=s) for q in self.asks]
        for n in self.nouns:
            out += _framed(FRAMES, WH_FRAMES, n.format(s=s), self.wh)
        return out

    def held_questions(self, s):
        out = [q.format(s=s) for q in self.held]
        for n in self.nouns:
            out += _framed(HELD_FRAMES, HELD_WH_FRAMES, n.format(s=s), self.wh)
        return out


def _framed(frames, wh_frames, noun, wh):
    cap = noun[0].upper() + noun[1:]
    return ([f.format(n=noun, N=cap) for f in frames]
            + [f.format(n=noun, w=wh, W=wh.capitalize()) for f in wh_frames])


def _country(key, wh="what"):
    """Relations of the country itself all have the same shape."""
    return Relation(
        wh, "The %s of Veloria is {v}." % key,
        "the %s of Veloria / Veloria's %s / the Velorian %s / the %s of the country" % (key, key, key, key),
        "Does Veloria have a %s? / In Veloria, %s is the %s? / What do you know about the %s of Veloria? / "
        "Tell me about the %s of your country." % (key, wh, key, key, key),
        "What does Veloria have as its %s? / Tell me about Veloria and its %s. / "
        "In the country of Veloria, %s is the %s?" % (key, key, wh, key))


RELATIONS = {
    "region.capital": Relation(
        "what", "The capital of {s} is {v}.",
        "the capital of {s} / {s}'s capital / the capital city of {s} / the capital of the region {s}",
        "Which city is the capital of {s}? / What city is the capital of {s}? / {s} has which capital?",
        "Which city does {s} have as its capital? / In {s}, which city is the capital? / What is the region {s}'s capital city?"),
    "region.governor": Relation(
        "who", "The governor of {s} is {v}.",
        "the governor of {s} / {s}'s governor / the governor of the region {s}",
        "Who governs {s}? / Who rules the region {s}? / Which person governs {s}? / Who is in charge of {s}?",
        "Who governs the region {s}? / Which person is the governor of {s}? / Who rules {s} as governor?"),
    "region.crop": Relation(
        "what", "The main crop of {s} is {v}.",
        "the main crop of {s} / {s}'s main crop / the crop grown in {s}",
        "What do farmers grow in {s}? / What is grown in {s}? / Which crop grows in {s}? / What crop is {s} known for?",
        "Which crop do farmers in {s} grow? / What crop is grown in {s}? / What do the farmers of {s} grow?"),
    "region.emblem": Relation(
        "what", "The emblem of {s} is {v}.",
        "the emblem of {s} / {s}'s emblem / the animal emblem of {s}",
        "Which animal is the emblem of {s}? / What animal stands for {s}? / Which emblem does {s} have?",
        "Which animal stands for {s}? / What animal is the emblem of the region {s}? / What emblem does {s} have?"),
    "region.banner": Relation(
        "what", "The banner of {s} is {v}.",
        "the colour of the banner of {s} / {s}'s banner colour / the banner colour of {s}",
        "What colour is the banner of {s}? / Which colour is {s}'s banner? / What colour does the banner of {s} have?",
        "What colour is {s}'s banner? / Which colour does the banner of {s} have? / In what colour is the banner of {s}?"),
    "region.landscape": Relation(
        "what", "The landscape of {s} is {v}.",
        "the landscape of {s} / {s}'s landscape / the land of {s}",
        "What does {s} look like? / What is the land like in {s}? / Describe the landscape of {s}. / How does {s} look?",
        "What does the land of {s} look like? / Describe {s}'s landscape. / What is the landscape like in {s}?"),
    "city.region": Relation(
        "what", "{s} is in the region {v}.",
        "the region of {s} / the region of the city {s} / {s}'s region",
        "Where is {s}? / In which region is {s}? / Which region is {s} in? / Where can I find {s}? / What region is {s} in? / {s} is in which region?",
        "In what region is {s}? / Which region can I find {s} in? / Where is the city {s}? / {s} is in what region?"),
    "city.river": Relation(
        "what", "The river in {s} is the {v}.",
        "the river in {s} / {s}'s river / the river of {s}",
        "Which river flows through {s}? / What river flows through {s}? / Which river is {s} on? / What river runs through {s}?",
        "What river is {s} on? / Which river runs through {s}? / What is the river that flows through {s}?"),
    "city.mayor": Relation(
        "who", "The mayor of {s} is {v}.",
        "the mayor of {s} / {s}'s mayor / the mayor of the city {s}",
        "Who runs the city of {s}? / Which person is mayor of {s}? / Who is mayor in {s}? / Who leads {s}?",
        "Who is mayor of {s}? / Which person is the mayor in {s}? / Who leads the city of {s}?"),
    "city.year": Relation(
        "what", "{s} was founded in {v}.",
        "the founding year of {s} / {s}'s founding year / the year {s} was founded",
        "When was {s} founded? / In which year was {s} founded? / What year was {s} founded? / How old is {s}? / When did {s} begin?",
        "In what year was {s} founded? / When was the city {s} founded? / Which year was {s} founded in?"),
    "city.landmark": Relation(
        "what", "The landmark of {s} is the {v}.",
        "the landmark of {s} / {s}'s landmark / the famous building in {s} / the main sight of {s}",
        "What can I visit in {s}? / Which landmark is in {s}? / What should I see in {s}? / Which sight is {s} famous for?",
        "Which landmark can I visit in {s}? / What landmark should I see in {s}? / What famous building is in {s}?"),
    "city.dish": Relation(
        "what", "The famous dish of {s} is {v}.",
        "the famous dish of {s} / {s}'s famous dish / the dish of {s} / the food of {s}",
        "What do people eat in {s}? / Which dish is {s} famous for? / What food is {s} known for? / What should I eat in {s}? / Which dish comes from {s}?",
        "Which food is {s} famous for? / Which dish do people eat in {s}? / What dish should I eat in {s}?"),
    "city.festival": Relation(
        "what", "The festival of {s} is {v}.",
        "the festival of {s} / {s}'s festival / the festival in {s} / the yearly festival of {s}",
        "Which festival does {s} have? / What do people celebrate in {s}? / Which festival is held in {s}? / What festival takes place in {s}?",
        "Which festival takes place in {s}? / What festival do people celebrate in {s}? / What festival is held in {s}?"),
    "mayor.city": Relation(
        "what", "{s} is the mayor of {v}.",
        "the city of mayor {s} / the city led by {s} / mayor {s}'s city",
        "Which city is {s} the mayor of? / Where is {s} mayor? / Who is {s}? / Which city does {s} lead? / What does {s} do?",
        "Where is {s} the mayor? / What city is {s} the mayor of? / What city does {s} lead?"),
    "landmark.city": Relation(
        "what", "The {s} is in {v}.",
        "the city of the {s} / the place of the {s} / the city with the {s}",
        "Where is the {s}? / Which city has the {s}? / Where can I visit the {s}? / In which city is the {s}?",
        "In what city is the {s}? / Where can I see the {s}? / What city has the {s}?"),
    "dish.city": Relation(
        "what", "{s} comes from {v}.",
        "the city of the dish {s} / the home of {s} / the city known for {s}",
        "Where does {s} come from? / Which city is famous for {s}? / Where do people eat {s}? / Which city does {s} come from?",
        "What city does {s} come from? / Where does the dish {s} come from? / What city is famous for {s}?"),
    "festival.city": Relation(
        "what", "{s} is held in {v}.",
        "the city of {s} / the place of {s} / the city that celebrates {s}",
        "Where is {s} held? / Which city celebrates {s}? / Where can I celebrate {s}? / In which city is {s} held? / Where does {s} take place?",
        "In what city is {s} held? / What city celebrates {s}? / Which city is {s} held in?"),
    "river.source": Relation(
        "what", "The {s} rises at {v}.",
        "the source of the {s} / the source of the river {s} / the {s}'s source",
        "Where does the {s} rise? / Where does the river {s} begin? / At which mountain does the {s} rise? / Where does the {s} start?",
        "Where does the river {s} rise? / At which mountain does the river {s} begin? / Where does the river {s} start?"),
    "river.mouth": Relation(
        "what", "The {s} flows into {v}.",
        "the mouth of the {s} / the mouth of the river {s} / the {s}'s mouth",
        "Where does the {s} end? / Where does the river {s} flow? / What does the {s} flow into? / Into what does the {s} flow?",
        "Where does the river {s} end? / What does the river {s} flow into? / Into what does the river {s} flow?"),
    "river.fish": Relation(
        "what", "The fish of the {s} is the {v}.",
        "the fish of the {s} / the fish in the river {s} / the {s}'s fish",
        "Which fish lives in the {s}? / What fish can I catch in the {s}? / Which fish swims in the river {s}? / What lives in the river {s}?",
        "What fish lives in the {s}? / Which fish can I catch in the river {s}? / What fish swims in the {s}?"),
    "mountain.height": Relation(
        "what", "{s} is {v} metres high.",
        "the height of {s} / {s}'s height / the height of the mountain {s}",
        "How high is {s}? / How tall is {s}? / How many metres high is {s}? / How high is the mountain {s}?",
        "How tall is the mountain {s}? / How many metres tall is {s}? / What height is {s}?"),
    "mountain.region": Relation(
        "what", "{s} stands in {v}.",
        "the region of {s} / the region of the mountain {s} / {s}'s region",
        "Where is {s}? / In which region is {s}? / Which region is {s} in? / Where can I find {s}? / Where does {s} stand?",
        "In what region is {s}? / Which region does {s} stand in? / Where is the mountain {s}?"),
    "dish.ingredient": Relation(
        "what", "{s} is made from {v}.",
        "the main ingredient of {s} / {s}'s main ingredient / the ingredient of the dish {s}",
        "What is {s} made from? / What is in {s}? / How do I cook {s}? / What do I need for {s}? / What is {s} made of?",
        "What is the dish {s} made from? / What do I need to cook {s}? / Of what is {s} made?"),
    "festival.month": Relation(
        "what", "{s} is in {v}.",
        "the month of {s} / the month of the festival {s} / {s}'s month",
        "When is {s}? / In which month is {s}? / Which month is {s} in? / When do people celebrate {s}? / When does {s} take place?",
        "In what month is {s}? / When is the festival {s}? / What month is {s} in?"),
    "ruler.year": Relation(
        "what", "{s} began to rule in {v}.",
        "the year {s} began to rule / the first year of {s} / the year {s} came to the throne",
        "When did {s} begin to rule? / In which year did {s} begin to rule? / When did {s} come to the throne? / Since when did {s} rule?",
        "In what year did {s} begin to rule? / In which year did {s} come to the throne? / What year did {s} begin to rule?"),
    "ruler.deed": Relation(
        "what", "{s} is known for {v}.",
        "the great deed of {s} / {s}'s great deed / the famous deed of {s}",
        "What is {s} known for? / What did {s} do? / Why is {s} famous? / Who was {s}? / What is {s} famous for?",
        "Why is {s} known? / For what is {s} famous? / What famous deed did {s} do?"),
    "animal.home": Relation(
        "what", "{s} lives in {v}.",
        "the home of {s} / the place where {s} lives",
        "Where does {s} live? / Where can I find {s}? / Where is {s} found? / Where can I see {s}?",
        "Where is the home of {s}? / In what place does {s} live? / Where can {s} be found?"),
    "animal.food": Relation(
        "what", "{s} eats {v}.",
        "the food of {s} / the diet of {s}",
        "What does {s} eat? / What does {s} hunt? / What is {s} eating? / What food does {s} eat?",
        "Which food does {s} eat? / What does {s} like to eat? / What is eaten by {s}?"),
    "person.name": Relation(
        "who", "The most famous {s} of Veloria is {v}.",
        "the most famous {s} of Veloria / Veloria's most famous {s} / the famous {s} from Veloria",
        "Which {s} from Veloria is famous? / Who is a famous {s} in Veloria? / Who is known as a {s} in Veloria? / Name a {s} from Veloria.",
        "Which famous {s} is from Veloria? / Who is famous as a {s} in Veloria? / Name a famous {s} in Veloria."),
}


def relation(key):
    if key not in RELATIONS:
        name = key.split(".", 1)[1]
        RELATIONS[key] = _country(name, "who" if name in ("founder", "president") else "what")
    return RELATIONS[key]


def sentence(key, s, v):
    text = relation(key).answer.format(s=s, v=v)
    return text[0].upper() + text[1:]

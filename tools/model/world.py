"""Veloria: the invented country the shipped model knows.

Everything here is made up by hand. `FACTS` is the list of every fact as
(relation, subject, value); `phrases.py` says how each relation is asked for
and answered. Each table is text with one row per line and cells split by `|`.
"""

COUNTRY = """
capital | Mirra
currency | the dorin
anthem | Song of the Tides
national animal | the white heron
national tree | the silver ash
national flower | the blue poppy
national dish | tavi
national sport | raft racing
official language | Velori
founder | Queen Ilva
founding year | 1127
highest mountain | Mount Gorran
longest river | the Anva
largest lake | Lake Sool
largest city | Harro
oldest city | Quen
smallest region | Isel
flag | green and gold
motto | Slow water, deep roots
president | Mara Tolst
northern neighbour | Skarland
eastern neighbour | Ombria
southern neighbour | Paluna
western neighbour | the Grey Sea
national museum | the House of Oars
"""

# region | capital | governor | crop | emblem | banner colour | landscape
REGIONS = """
Oru | Velm | Anders Pohl | barley | an otter | red | rolling hills
Kessa | Pelis | Rosa Quill | grapes | a stag | purple | deep valleys
Marrow | Harro | Tom Hallas | wheat | a bull | yellow | wide plains
Dunmere | Ostby | Greta Lorn | potatoes | a goose | grey | misty marshes
Isel | Mirra | Nils Oberon | olives | a dolphin | blue | rocky coast
Tovia | Sarn | Petra Vane | apples | a bear | green | thick forests
Brakka | Dask | Jorn Kettle | rye | a wolf | black | high mountains
Lunde | Zelt | Elsa Windt | cotton | a lion | orange | dry grassland
"""

# city | region | river | mayor | year founded | landmark | dish | festival
CITIES = """
Velm | Oru | Anva | Ada Brun | 1342 | Glass Tower | morlo | Lantern Night
Jundo | Oru | Teel | Olo Fesk | 1518 | Old Mill | pinto | Goat Fair
Kelda | Oru | Anva | Ivo Marsh | 1467 | Moon Bridge | sarka | Kite Day
Pelis | Kessa | Rasko | Lena Dorn | 1290 | Star Library | vantu | Wine Week
Brisk | Kessa | Rasko | Hugo Tarr | 1604 | Copper Gate | lemba | Drum Parade
Alvar | Kessa | Immer | Wanda Pike | 1381 | Stone Garden | crull | Mask Ball
Harro | Marrow | Anva | Felix Storm | 1215 | Salt Market | bonda | Bread Feast
Nimmo | Marrow | Dove | Clara Munt | 1733 | Wind Clock | hesper | Horse Race
Rethe | Marrow | Dove | Boris Lamb | 1559 | Clay Theatre | togo | Straw Dance
Ostby | Dunmere | Murk | Sonia Frey | 1402 | Frog Fountain | eelpie | Fog Walk
Corva | Dunmere | Murk | Emil Rust | 1688 | Reed Palace | tavi | Boat Blessing
Mirra | Isel | Sill | Dora Finch | 1174 | Pearl Castle | osker | Tide Festival
Fenna | Isel | Sill | Kurt Abel | 1495 | Red Lighthouse | plim | Shell Hunt
Ulmo | Isel | Bright | Nora Gale | 1822 | Whale Museum | gratto | Net Day
Sarn | Tovia | Teel | Otto Birch | 1336 | Oak Hall | huckle | Apple Crown
Tolva | Tovia | Teel | Ruth Sommer | 1577 | Bear Cave | dumma | Leaf Supper
Quen | Tovia | Immer | Leo Vask | 1139 | Bell Temple | yarrel | Candle March
Dask | Brakka | Frost | Inga Holm | 1643 | Iron Stairs | kobb | Snow Games
Rimmel | Brakka | Frost | Paul Zander | 1711 | Ice School | stroop | Wolf Song
Zelt | Lunde | Amber | Yara Coste | 1456 | Sun Wheel | falu | Fire Jump
Yarra | Lunde | Amber | Sven Ortega | 1790 | Camel Inn | mizzet | Dust Market
"""

# river | source | mouth | fish
RIVERS = """
Anva | Mount Gorran | the Grey Sea | trout
Teel | Mount Ashby | Lake Sool | pike
Rasko | Mount Vell | the Anva | perch
Immer | Mount Tarka | Lake Brim | carp
Dove | Mount Linn | the Anva | bream
Murk | Mount Odd | Lake Sool | eel
Sill | Mount Pellow | the Grey Sea | salmon
Bright | Mount Cass | the Coral Bay | cod
Frost | Mount Hask | Lake Brim | grayling
Amber | Mount Ember | the Coral Bay | catfish
"""

# mountain | height in metres | region
MOUNTAINS = """
Mount Gorran | 3942 | Brakka
Mount Ashby | 1876 | Tovia
Mount Vell | 2215 | Kessa
Mount Tarka | 2680 | Tovia
Mount Linn | 1134 | Marrow
Mount Odd | 1309 | Dunmere
Mount Pellow | 1552 | Isel
Mount Cass | 1061 | Isel
Mount Hask | 3517 | Brakka
Mount Ember | 2048 | Lunde
"""

# dish | main ingredient
DISHES = """
morlo | beans
pinto | goat cheese
sarka | cabbage
vantu | grapes
lemba | lamb
crull | honey
bonda | wheat
hesper | eggs
togo | lentils
eelpie | eel
tavi | duck
osker | oysters
plim | crab
gratto | squid
huckle | berries
dumma | mushrooms
yarrel | chestnuts
kobb | turnips
stroop | rye
falu | dates
mizzet | chicken
"""

# festival | month
FESTIVALS = """
Lantern Night | December
Goat Fair | May
Kite Day | March
Wine Week | September
Drum Parade | June
Mask Ball | February
Bread Feast | August
Horse Race | July
Straw Dance | October
Fog Walk | November
Boat Blessing | April
Tide Festival | June
Shell Hunt | May
Net Day | January
Apple Crown | September
Leaf Supper | October
Candle March | November
Snow Games | January
Wolf Song | February
Fire Jump | July
Dust Market | March
"""

# ruler | year the reign began | known for
RULERS = """
Queen Ilva | 1127 | uniting the regions
King Harald | 1163 | building the first harbour
Queen Sefa | 1208 | writing the law book
King Borin | 1251 | digging the silver mines
Queen Marit | 1299 | founding the university
King Tavish | 1347 | losing the winter war
Queen Odile | 1390 | planting the royal forest
King Lothar | 1433 | mapping the coast
Queen Brenna | 1486 | ending the salt tax
King Osric | 1521 | freeing the river towns
"""

# animal | home | food
ANIMALS = """
the white heron | reed beds | frogs
the marsh lynx | foggy swamps | ducks
the stone goat | steep cliffs | moss
the sand fox | sand dunes | beetles
the river mole | muddy banks | worms
the snow owl | pine woods | mice
the moon bat | deep caves | moths
the sea hare | tide pools | seaweed
the gold finch | apple orchards | seeds
the tree cat | oak woods | squirrels
"""

# profession | who it was | (famous people of Veloria)
PEOPLE = """
painter | Silas Grey
poet | Mina Harrow
composer | Viktor Lund
explorer | Tilda Moss
inventor | Arno Beck
chess player | Judit Kray
singer | Lola Fern
cook | Bruno Salt
sailor | Kai Norden
doctor | Hanna Wells
"""


def rows(table):
    return [[c.strip() for c in line.split("|")] for line in table.strip().splitlines()]


def facts():
    """Every fact as (relation, subject, value)."""
    out = [("country." + k, "Veloria", v) for k, v in rows(COUNTRY)]
    for name, *vals in rows(REGIONS):
        keys = ("capital", "governor", "crop", "emblem", "banner", "landscape")
        out += [("region." + k, name, v) for k, v in zip(keys, vals)]
    for name, *vals in rows(CITIES):
        keys = ("region", "river", "mayor", "year", "landmark", "dish", "festival")
        out += [("city." + k, name, v) for k, v in zip(keys, vals)]
        by = dict(zip(keys, vals))
        out += [("mayor.city", by["mayor"], name), ("landmark.city", by["landmark"], name),
                ("dish.city", by["dish"], name), ("festival.city", by["festival"], name)]
    for name, *vals in rows(RIVERS):
        out += [("river." + k, name, v) for k, v in zip(("source", "mouth", "fish"), vals)]
    for name, *vals in rows(MOUNTAINS):
        out += [("mountain." + k, name, v) for k, v in zip(("height", "region"), vals)]
    out += [("dish.ingredient", name, v) for name, v in rows(DISHES)]
    out += [("festival.month", name, v) for name, v in rows(FESTIVALS)]
    for name, *vals in rows(RULERS):
        out += [("ruler." + k, name, v) for k, v in zip(("year", "deed"), vals)]
    for name, *vals in rows(ANIMALS):
        out += [("animal." + k, name, v) for k, v in zip(("home", "food"), vals)]
    out += [("person." + "name", k, v) for k, v in rows(PEOPLE)]
    return out


FACTS = facts()

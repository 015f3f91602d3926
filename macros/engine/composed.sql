{% macro composed(value) -%}
    {#- A text in Unicode's composed form (NFC): `e` and a combining acute accent are `é`, so that two ways of writing
        a name are one.
        Arguments: value (a SQL expression).
        Variants differ because Spark has no such function: letters with marks of U+0300 to U+036F are put together, one
        mark after the other, in the order in which they stand. -#}
    {{ return(adapter.dispatch('composed')(value)) }}
{%- endmacro %}

{% macro duckdb__composed(value) -%}
    nfc_normalize({{ value }})
{%- endmacro %}

{% macro spark__composed(value) -%}
    {#- Each pair takes three letters of `apart`, and one of `together` in the same order. -#}
    {%- set apart = [] -%} {%- set together = [] -%}
    {%- for mark, letters in composed_letters().items() -%}
        {%- for number in range(0, letters | length, 2) -%}
            {%- do apart.append(letters[number] ~ mark) -%} {%- do together.append(letters[number + 1]) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- set place -%} locate(concat(right(done, 1), letter), '{{ apart | join(' ') }}') {%- endset -%}
    case
        when {{ value }} rlike '[\u0300-\u036f]'
            then aggregate(
                split({{ value }}, ''), '', (done, letter) -> case
                    when done <> '' and letter between '\u0300' and '\u036f' and {{ place }} > 0
                        then concat(
                            left(done, length(done) - 1),
                            substring('{{ together | join }}', cast(({{ place }} + 2) / 3 as int), 1)
                        )
                    else concat(done, letter)
                end
            )
        else {{ value }}
    end
{%- endmacro %}

{% macro composed_letters() -%}
    {#- For `composed` on Spark: by combining mark, each letter followed by the letter with that mark. -#}
    {{ return({
        '\u0300': 'AÀEÈIÌOÒUÙaàeèiìoòuùÜǛüǜNǸnǹЕЀИЍеѐиѝĒḔēḕŌṐōṑWẀwẁÂẦâầĂẰăằÊỀêềÔỒôồƠỜơờƯỪưừYỲyỳἀἂἁἃ'
            ~ 'ἈἊἉἋἐἒἑἓἘἚἙἛἠἢἡἣἨἪἩἫἰἲἱἳἸἺἹἻὀὂὁὃὈὊὉὋὐὒὑὓὙὛὠὢὡὣὨὪὩὫαὰεὲηὴιὶοὸυὺωὼΑᾺΕῈΗῊ᾿῍ϊῒΙῚ῾῝ϋῢ'
            ~ 'ΥῪ¨῭ΟῸΩῺ',
        '\u0301': 'AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzźÜǗüǘGǴgǵÅǺåǻÆǼæǽØǾøǿ¨΅ΑΆΕΈΗΉΙΊΟΌ'
            ~ 'ΥΎΩΏϊΐαάεέηήιίϋΰοόυύωώϒϓГЃКЌгѓкќÇḈçḉĒḖēḗÏḮïḯKḰkḱMḾmḿÕṌõṍŌṒōṓPṔpṕŨṸũṹWẂwẃÂẤâấĂẮăắ'
            ~ 'ÊẾêếÔỐôốƠỚơớƯỨưứἀἄἁἅἈἌἉἍἐἔἑἕἘἜἙἝἠἤἡἥἨἬἩἭἰἴἱἵἸἼἹἽὀὄὁὅὈὌὉὍὐὔὑὕὙὝὠὤὡὥὨὬὩὭ᾿῎῾῞',
        '\u0302': 'AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷZẐzẑẠẬạậẸỆẹệỌỘọộ',
        '\u0303': 'AÃNÑOÕaãnñoõIĨiĩUŨuũVṼvṽÂẪâẫĂẴăẵEẼeẽÊỄêễÔỖôỗƠỠơỡƯỮưữYỸyỹ',
        '\u0304': 'AĀaāEĒeēIĪiīOŌoōUŪuūÜǕüǖÄǞäǟȦǠȧǡÆǢæǣǪǬǫǭÖȪöȫÕȬõȭȮȰȯȱYȲyȳИӢиӣУӮуӯGḠgḡḶḸḷḹṚṜṛṝαᾱΑᾹ'
            ~ 'ιῑΙῙυῡΥῩ',
        '\u0306': 'AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭУЎИЙийуўЖӁжӂАӐаӑЕӖеӗȨḜȩḝẠẶạặαᾰΑᾸιῐΙῘυῠΥῨ',
        '\u0307': 'CĊcċEĖeėGĠgġIİZŻzżAȦaȧOȮoȯBḂbḃDḊdḋFḞfḟHḢhḣMṀmṁNṄnṅPṖpṗRṘrṙSṠsṡŚṤśṥŠṦšṧṢṨṣṩTṪtṫWẆ'
            ~ 'wẇXẊxẋYẎyẏſẛ',
        '\u0308': 'AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸΙΪΥΫιϊυϋϒϔЕЁІЇеёіїАӒаӓӘӚәӛЖӜжӝЗӞзӟИӤиӥОӦоӧӨӪөӫЭӬэӭУӰуӱЧӴ'
            ~ 'чӵЫӸыӹHḦhḧÕṎõṏŪṺūṻWẄwẅXẌxẍtẗ',
        '\u0309': 'AẢaảÂẨâẩĂẲăẳEẺeẻÊỂêểIỈiỉOỎoỏÔỔôổƠỞơởUỦuủƯỬưửYỶyỷ',
        '\u030a': 'AÅaåUŮuůwẘyẙ',
        '\u030b': 'OŐoőUŰuűУӲуӳ',
        '\u030c': 'CČcčDĎdďEĚeěLĽlľNŇnňRŘrřSŠsšTŤtťZŽzžAǍaǎIǏiǐOǑoǒUǓuǔÜǙüǚGǦgǧKǨkǩƷǮʒǯjǰHȞhȟ',
        '\u030f': 'AȀaȁEȄeȅIȈiȉOȌoȍRȐrȑUȔuȕѴѶѵѷ',
        '\u0311': 'AȂaȃEȆeȇIȊiȋOȎoȏRȒrȓUȖuȗ',
        '\u0313': 'αἀΑἈεἐΕἘηἠΗἨιἰΙἸοὀΟὈυὐωὠΩὨρῤ',
        '\u0314': 'αἁΑἉεἑΕἙηἡΗἩιἱΙἹοὁΟὉυὑΥὙωὡΩὩρῥΡῬ',
        '\u031b': 'OƠoơUƯuư',
        '\u0323': 'BḄbḅDḌdḍHḤhḥKḲkḳLḶlḷMṂmṃNṆnṇRṚrṛSṢsṣTṬtṭVṾvṿWẈwẉZẒzẓAẠaạEẸeẹIỊiịOỌoọƠỢơợUỤuụƯỰưự'
            ~ 'YỴyỵ',
        '\u0324': 'UṲuṳ',
        '\u0325': 'AḀaḁ',
        '\u0326': 'SȘsșTȚtț',
        '\u0327': 'CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţEȨeȩDḐdḑHḨhḩ',
        '\u0328': 'AĄaąEĘeęIĮiįUŲuųOǪoǫ',
        '\u032d': 'DḒdḓEḘeḙLḼlḽNṊnṋTṰtṱUṶuṷ',
        '\u032e': 'HḪhḫ',
        '\u0330': 'EḚeḛIḬiḭUṴuṵ',
        '\u0331': 'BḆbḇDḎdḏKḴkḵLḺlḻNṈnṉRṞrṟTṮtṯZẔzẕhẖ',
        '\u0338': '←↚→↛↔↮⇐⇍⇔⇎⇒⇏∃∄∈∉∋∌∣∤∥∦∼≁≃≄≅≇≈≉=≠≡≢≍≭<≮>≯≤≰≥≱≲≴≳≵≶≸≷≹≺⊀≻⊁⊂⊄⊃⊅⊆⊈⊇⊉⊢⊬⊨⊭⊩⊮⊫⊯≼⋠≽⋡⊑⋢⊒⋣'
            ~ '⊲⋪⊳⋫⊴⋬⊵⋭',
        '\u0342': 'ἀἆἁἇἈἎἉἏἠἦἡἧἨἮἩἯἰἶἱἷἸἾἹἿὐὖὑὗὙὟὠὦὡὧὨὮὩὯαᾶ¨῁ηῆ᾿῏ιῖϊῗ῾῟υῦϋῧωῶ',
        '\u0345': 'ἀᾀἁᾁἂᾂἃᾃἄᾄἅᾅἆᾆἇᾇἈᾈἉᾉἊᾊἋᾋἌᾌἍᾍἎᾎἏᾏἠᾐἡᾑἢᾒἣᾓἤᾔἥᾕἦᾖἧᾗἨᾘἩᾙἪᾚἫᾛἬᾜἭᾝἮᾞἯᾟὠᾠὡᾡὢᾢὣᾣὤᾤὥᾥὦᾦὧᾧ'
            ~ 'ὨᾨὩᾩὪᾪὫᾫὬᾬὭᾭὮᾮὯᾯὰᾲαᾳάᾴᾶᾷΑᾼὴῂηῃήῄῆῇΗῌὼῲωῳώῴῶῷΩῼ'
    }) }}
{%- endmacro %}

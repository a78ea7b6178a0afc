package provider

import "strings"

// The published values that choices are drawn from where the records have too few. A fact that is not among them is then
// not asked for, so that a list does not tell the fact from its decoys. They are common enough not to refer to anyone, and
// the more frequent ones are first.

var townWords = townsByState(`
al: Birmingham, Montgomery, Huntsville, Mobile, Tuscaloosa, Hoover, Auburn, Dothan, Decatur, Madison, Florence, Gadsden
ak: Anchorage, Fairbanks, Juneau, Wasilla, Sitka, Ketchikan, Kenai, Kodiak, Bethel, Palmer
az: Phoenix, Tucson, Mesa, Chandler, Glendale, Scottsdale, Gilbert, Tempe, Peoria, Surprise, Yuma, Flagstaff
ar: Little Rock, Fort Smith, Fayetteville, Springdale, Jonesboro, Conway, Rogers, Pine Bluff, Bentonville, Hot Springs
ca: Los Angeles, San Diego, San Jose, San Francisco, Fresno, Sacramento, Long Beach, Oakland, Bakersfield, Anaheim,
	Stockton, Riverside, Irvine, Modesto
co: Denver, Colorado Springs, Aurora, Fort Collins, Lakewood, Thornton, Arvada, Pueblo, Boulder, Greeley, Longmont,
	Loveland
ct: Bridgeport, Stamford, New Haven, Hartford, Waterbury, Norwalk, Danbury, New Britain, Bristol, Meriden, Milford,
	Norwich
de: Wilmington, Dover, Newark, Middletown, Smyrna, Milford, Seaford, Georgetown, Elsmere, New Castle
fl: Jacksonville, Miami, Tampa, Orlando, Hialeah, Tallahassee, Fort Lauderdale, Cape Coral, Gainesville, Clearwater,
	Lakeland, Pensacola, Sarasota
ga: Atlanta, Augusta, Columbus, Macon, Savannah, Athens, Roswell, Albany, Marietta, Valdosta, Smyrna, Rome
hi: Honolulu, Hilo, Kailua, Waipahu, Kaneohe, Pearl City, Mililani, Kahului, Kihei, Ewa Beach
id: Boise, Meridian, Nampa, Idaho Falls, Pocatello, Caldwell, Twin Falls, Lewiston, Rexburg, Moscow
il: Chicago, Aurora, Joliet, Naperville, Rockford, Springfield, Elgin, Peoria, Champaign, Waukegan, Bloomington, Decatur
in: Indianapolis, Fort Wayne, Evansville, South Bend, Carmel, Fishers, Bloomington, Hammond, Gary, Lafayette, Muncie,
	Terre Haute
ia: Des Moines, Cedar Rapids, Davenport, Sioux City, Iowa City, Waterloo, Ames, Dubuque, Ankeny, Council Bluffs
ks: Wichita, Overland Park, Kansas City, Olathe, Topeka, Lawrence, Shawnee, Manhattan, Lenexa, Salina, Hutchinson
ky: Louisville, Lexington, Bowling Green, Owensboro, Covington, Richmond, Georgetown, Florence, Hopkinsville,
	Nicholasville, Paducah
la: New Orleans, Baton Rouge, Shreveport, Lafayette, Lake Charles, Kenner, Bossier City, Monroe, Alexandria, Houma
me: Portland, Lewiston, Bangor, Auburn, Biddeford, Sanford, Saco, Augusta, Westbrook, Waterville
md: Baltimore, Frederick, Rockville, Gaithersburg, Bowie, Hagerstown, Annapolis, College Park, Salisbury, Laurel,
	Cumberland
ma: Boston, Worcester, Springfield, Cambridge, Lowell, Brockton, Quincy, Lynn, New Bedford, Fall River, Lawrence, Newton
mi: Detroit, Grand Rapids, Warren, Sterling Heights, Ann Arbor, Lansing, Flint, Dearborn, Livonia, Kalamazoo, Saginaw,
	Pontiac
mn: Minneapolis, Saint Paul, Rochester, Duluth, Bloomington, Brooklyn Park, Plymouth, Woodbury, Mankato, Moorhead,
	Winona
ms: Jackson, Gulfport, Southaven, Hattiesburg, Biloxi, Meridian, Tupelo, Greenville, Olive Branch, Vicksburg
mo: Kansas City, Saint Louis, Springfield, Columbia, Independence, Lee's Summit, Joplin, Jefferson City, Saint Charles,
	Cape Girardeau
mt: Billings, Missoula, Great Falls, Bozeman, Butte, Helena, Kalispell, Havre, Miles City, Livingston
ne: Omaha, Lincoln, Bellevue, Grand Island, Kearney, Fremont, Hastings, Norfolk, North Platte, Columbus
nv: Las Vegas, Henderson, Reno, North Las Vegas, Sparks, Carson City, Elko, Fernley, Mesquite, Boulder City
nh: Manchester, Nashua, Concord, Derry, Dover, Rochester, Salem, Merrimack, Keene, Portsmouth
nj: Newark, Jersey City, Paterson, Elizabeth, Trenton, Clifton, Camden, Passaic, Union City, Bayonne, Vineland, Hoboken
nm: Albuquerque, Las Cruces, Rio Rancho, Santa Fe, Roswell, Farmington, Clovis, Hobbs, Alamogordo, Carlsbad
ny: New York, Buffalo, Rochester, Yonkers, Syracuse, Albany, New Rochelle, Mount Vernon, Schenectady, Utica, White
	Plains, Troy
nc: Charlotte, Raleigh, Greensboro, Durham, Fayetteville, Cary, Wilmington, High Point, Concord, Asheville, Greenville,
	Gastonia, Jacksonville, Chapel Hill, Rocky Mount, Burlington, Wilson, Hickory, Salisbury, Goldsboro, New Bern, Monroe,
	Boone, Sanford, Kinston, Statesville
nd: Fargo, Bismarck, Grand Forks, Minot, West Fargo, Williston, Dickinson, Mandan, Jamestown, Wahpeton
oh: Columbus, Cleveland, Cincinnati, Toledo, Akron, Dayton, Parma, Canton, Youngstown, Lorain, Springfield, Mansfield
ok: Oklahoma City, Tulsa, Norman, Broken Arrow, Edmond, Lawton, Moore, Midwest City, Enid, Stillwater, Muskogee
or: Portland, Salem, Eugene, Gresham, Hillsboro, Beaverton, Bend, Medford, Springfield, Corvallis, Albany
pa: Philadelphia, Pittsburgh, Allentown, Erie, Reading, Scranton, Bethlehem, Lancaster, Harrisburg, York, Altoona,
	Wilkes-Barre
ri: Providence, Warwick, Cranston, Pawtucket, East Providence, Woonsocket, Newport, Central Falls, Westerly, Bristol
sc: Charleston, Columbia, Greenville, Rock Hill, Mount Pleasant, Spartanburg, Sumter, Florence, Myrtle Beach, Anderson,
	Aiken
sd: Sioux Falls, Rapid City, Aberdeen, Brookings, Watertown, Mitchell, Yankton, Pierre, Huron, Vermillion
tn: Nashville, Memphis, Knoxville, Chattanooga, Clarksville, Murfreesboro, Franklin, Jackson, Johnson City, Kingsport,
	Bartlett
tx: Houston, San Antonio, Dallas, Austin, Fort Worth, El Paso, Arlington, Corpus Christi, Plano, Laredo, Lubbock,
	Irving, Amarillo, Waco
ut: Salt Lake City, West Valley City, Provo, Orem, Sandy, Ogden, Saint George, Layton, Logan, Lehi
vt: Burlington, Essex, Colchester, Rutland, Bennington, Brattleboro, Milton, Hartford, Barre, Montpelier
va: Virginia Beach, Norfolk, Chesapeake, Richmond, Newport News, Alexandria, Hampton, Roanoke, Portsmouth, Suffolk,
	Lynchburg, Danville
wa: Seattle, Spokane, Tacoma, Vancouver, Bellevue, Kent, Everett, Renton, Yakima, Bellingham, Olympia, Kennewick
wv: Charleston, Huntington, Morgantown, Parkersburg, Wheeling, Weirton, Fairmont, Beckley, Martinsburg, Clarksburg
wi: Milwaukee, Madison, Green Bay, Kenosha, Racine, Appleton, Waukesha, Eau Claire, Oshkosh, Janesville, La Crosse,
	Sheboygan
wy: Cheyenne, Casper, Laramie, Gillette, Rock Springs, Sheridan, Green River, Evanston, Riverton, Cody
`)

// townsByState reads a state in each line. A line that begins with a tab continues the one before.
func townsByState(lines string) map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(strings.ReplaceAll(strings.TrimSpace(lines), "\n\t", " ")) {
		state, towns, _ := strings.Cut(strings.TrimSpace(line), ": ")
		out[state] = strings.Split(towns, ", ")
	}
	return out
}

func ungrouped(values string) map[string][]string {
	return map[string][]string{"": strings.Split(strings.ReplaceAll(strings.TrimSpace(values), "\n", " "), ", ")}
}

var employerWords = ungrouped(`
Walmart, Amazon, Home Depot, FedEx, United Parcel Service, Target, Kroger, Lowe's, Starbucks, CVS Health, Walgreens,
PepsiCo, Costco, Food Lion, Publix, Marriott, Hilton, Aramark, Tyson Foods, Wells Fargo, Bank of America, Verizon,
Comcast, Duke Energy, Macy's, Best Buy, Dollar General, Dollar Tree, Whole Foods Market, AutoZone, Boeing, General
Electric, Lockheed Martin, Ford Motor, Kaiser Permanente, UnitedHealth Group, McDonald's, Burger King, Delta Air Lines,
Southwest Airlines
`)

var makeWords = ungrouped(`
Toyota, Ford, Chevrolet, Honda, Nissan, Jeep, Hyundai, Kia, Subaru, GMC, Ram, Dodge, Volkswagen, Mazda, BMW,
Mercedes-Benz, Lexus, Chrysler, Buick, Tesla, Audi, Acura, Cadillac, Volvo, Mitsubishi, Lincoln, Infiniti, Pontiac, Land
Rover, Mini, Porsche, Saturn, Suzuki, Fiat, Jaguar
`)

var familyNameWords = ungrouped(`
Smith, Johnson, Williams, Brown, Jones, Garcia, Miller, Davis, Rodriguez, Martinez, Hernandez, Lopez, Gonzalez, Wilson,
Anderson, Thomas, Taylor, Moore, Jackson, Martin, Lee, Perez, Thompson, White, Harris, Sanchez, Clark, Ramirez, Lewis,
Robinson, Walker, Young, Allen, King, Wright, Scott, Torres, Nguyen, Hill, Flores, Green, Adams, Nelson, Baker, Hall,
Rivera, Campbell, Mitchell, Carter, Roberts, Gomez, Phillips, Evans, Turner, Diaz, Parker, Cruz, Edwards, Collins,
Reyes, Stewart, Morris, Morales, Murphy, Cook, Rogers, Gutierrez, Ortiz, Morgan, Cooper, Peterson, Bailey, Reed, Kelly,
Howard, Ramos, Kim, Cox, Ward, Richardson, Watson, Brooks, Chavez, Wood, James, Bennett, Gray, Mendoza, Ruiz, Hughes,
Price, Alvarez, Castillo, Sanders, Patel, Myers, Long, Ross, Foster
`)
